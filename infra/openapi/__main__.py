"""Writes the description to where GET /api/v1/openapi.json has it from.

python -m infra.openapi
"""

from infra.openapi import document

if __name__ == "__main__":
    document.FILE.write_text(document.written())
