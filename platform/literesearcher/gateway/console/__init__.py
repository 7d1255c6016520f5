"""The console: a web page over the HTTP API, served by the gateway at `/`. Its files stand in `pages/`."""
