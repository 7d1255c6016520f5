"""Ray Serve: three applications, routing, admission, scaling, drains. The only room that imports ray."""
