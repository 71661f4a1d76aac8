"""The API's description in OpenAPI 3.1: routes from template.yaml, all else from the handlers' signatures."""
