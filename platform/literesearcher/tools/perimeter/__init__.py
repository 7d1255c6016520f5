"""What may be fetched: addresses, the URL guard, a tenant's own intranet."""
