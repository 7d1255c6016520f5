"""Twins and contract suites that ship: scripted engine, scripted tools, manual clock, fault points."""
