"""Full-text search: `words`, then `query`, `matching`, `vocabulary`; `index`, `rows`; `finding`."""
