"""Test collections: reading, checking and finding them."""

from ir_replications.shared.data.agreement import UNPINNED, check_collection
from ir_replications.shared.data.beir import read_beir, write_beir
from ir_replications.shared.data.bright import BRIGHT_SUBSETS, BrightQueries, load_bright_queries
from ir_replications.shared.data.catalogue import Entry, collection_size, list_collections
from ir_replications.shared.data.collection import TITLE_MODES, Collection, make_collection
from ir_replications.shared.data.manifest import Pin, pinned
from ir_replications.shared.data.pydocs import build_pydocs, load_pydocs
from ir_replications.shared.data.qrels import read_qrels
from ir_replications.shared.data.resolve import check_available, fetch_collection, load_collection

__all__ = [
    "BRIGHT_SUBSETS",
    "TITLE_MODES",
    "UNPINNED",
    "BrightQueries",
    "Collection",
    "Entry",
    "Pin",
    "build_pydocs",
    "check_available",
    "check_collection",
    "collection_size",
    "fetch_collection",
    "list_collections",
    "load_bright_queries",
    "load_collection",
    "load_pydocs",
    "make_collection",
    "pinned",
    "read_beir",
    "read_qrels",
    "write_beir",
]
