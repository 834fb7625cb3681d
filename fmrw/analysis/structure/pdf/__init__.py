"""PDF (ISO 32000-2), read by its own records: whether strings and streams are encrypted does not matter for where they lie.

`tables` follows the cross-reference tables and streams, `search` looks for objects where these fail, as readers that repair
do, `objects` says where each object ends.
"""

from __future__ import annotations

from fmrw.analysis.structure.pdf.objects import is_buried, is_pdf, pdf_parts

__all__ = ["is_buried", "is_pdf", "pdf_parts"]
