"""Writes the description to the file that GET /api/v1/openapi.json serves.

python -m infra.openapi
"""

from infra.openapi import document

if __name__ == "__main__":
    document.FILE.write_text(document.serialize())
