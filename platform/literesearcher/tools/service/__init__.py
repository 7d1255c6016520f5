"""The tool proxy over HTTP: routes, access, problem documents, the published servers' shapes, and the client."""
