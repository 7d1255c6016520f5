"""/v1/usage: what the tenant spent on tools today, and what it may.

Owns: what it answers. Refuses to know: how the ledger is kept (`jobs.spending`), prices.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from literesearcher.gateway import operations
from literesearcher.gateway.context import Gateway, check_query, json_response
from literesearcher.gateway.public import usage_object
from literesearcher.jobs.spending import budget_of, day_of


def router(gateway: Gateway) -> APIRouter:
    """The route over one gateway."""
    tenant_of = Depends(gateway.tenant_of)
    routes = APIRouter(tags=["research"], dependencies=[tenant_of, Depends(check_query)])

    @routes.get("/v1/usage", **operations.USAGE)
    async def get_usage(tenant: str = tenant_of) -> Response:
        now = gateway.clock.now()
        spent = await gateway.store.spent(tenant, day_of(now))
        return json_response(usage_object(tenant, spent, budget_of(gateway.settings.budgets, tenant), now))

    return routes
