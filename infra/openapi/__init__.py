"""Generates the API's description in OpenAPI 3.1 from template.yaml and the handlers' signatures and docstrings."""
