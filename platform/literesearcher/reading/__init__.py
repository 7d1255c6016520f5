"""Bytes of any page or file to valid text: charsets, HTML, PDF."""
