"""The job store in SQL: tables, the operations on them, and the two runners that carry them out."""
