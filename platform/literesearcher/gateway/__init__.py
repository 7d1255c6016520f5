"""The HTTP face: research-job API, events, authentication, problem documents."""
