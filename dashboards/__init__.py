"""What a person looks at: drawings, charts and the report page of a run. Reads `runs/` only."""
