"""Videos in which people cannot be recognised as easily: faces, heads or whole people hidden after a run.

`regions` says what to hide and what to doubt, `hiding` does it to pixels, `byhand` reads what a person changed,
`sheets` lays out doubtful moments, and `redacting` is the job. It promises nothing: somebody looks at the result.
"""

from __future__ import annotations

from peoplenet_nb.redaction.hiding import How, hide
from peoplenet_nb.redaction.redacting import Redacted, redact
from peoplenet_nb.redaction.regions import What

__all__ = ["How", "Redacted", "What", "hide", "redact"]
