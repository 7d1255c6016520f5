"""Search and page providers: one small file each behind one port, and the HTTP wire that remote ones share."""
