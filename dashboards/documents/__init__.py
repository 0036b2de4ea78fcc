"""What the dashboard and the report show, as plain data made from a run folder.

One file per document, each a pure function of a run as it stands. `page/src/documents.ts` declares
their fields. Nothing here speaks HTTP, writes, or loads torch.
"""

from .reading import Reading
from .report import report_documents
from .routes import document, increment, read_run, run_names

__all__ = ["Reading", "document", "increment", "read_run", "report_documents", "run_names"]
