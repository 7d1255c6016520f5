"""LiteResearcher Platform: serves deep-research agents as durable jobs."""
