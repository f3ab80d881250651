"""Files of the site, by their place in the repository: a hook of mkdocs (mkdocs.yml)."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
SHOWN = (
    "*.md",
    "CITATION.cff",
    "LICENSE",
    "docs/**/*.md",
    "docs/*.png",
    "replications/*/*.md",
    "replications/*/training/recipes/*.yaml",
    "reports/html/**/*",
    "reports/results/**/*",
)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """The repository's Markdown, and the pages with the records that they link to."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    found = sorted({path for pattern in SHOWN for path in ROOT.glob(pattern) if path.is_file()})
    return Files(
        [
            *theme,
            *(
                File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path))
                for path in found
            ),
        ]
    )
