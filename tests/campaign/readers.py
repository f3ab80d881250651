"""Every reader that the campaign tries: a new one is one entry in one of these tables."""

from __future__ import annotations

from tests.campaign import (
    cache_readers,
    claim_readers,
    collection_readers,
    index_readers,
    model_readers,
    recipe_readers,
    record_readers,
    text_readers,
    training_readers,
)
from tests.campaign.campaign import Reader

READERS: tuple[Reader, ...] = (
    *collection_readers.READERS,
    *text_readers.READERS,
    *claim_readers.READERS,
    *record_readers.READERS,
    *recipe_readers.READERS,
    *training_readers.READERS,
    *cache_readers.READERS,
    *index_readers.READERS,
    *model_readers.READERS,
)
