"""The dashboard's server: it reads a folder of runs and answers with documents, nothing else."""
