"""A job's source policy: domains, dates, languages, and what becomes of a result or a page that breaks it."""
