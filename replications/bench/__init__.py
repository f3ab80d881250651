"""The four papers as one pipeline on a collection: what `replicate bench` runs.

No paper: experiments/ has the stages (first stages, rewriting in front, reranking behind), made of
the papers' own methods, and systems.py the pipelines that are put together from them.
"""
