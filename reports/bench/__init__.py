"""What a bench of pipelines on a collection says: findings from records and runs, page, files."""
