"""The frozen sections of search and page providers: keys, where they answer, prices and limits.

Owns: names, types, ranges and defaults. Prices and limits are estimates from the providers' published plans and differ
by contract. Refuses to know: what a provider does (`tools.providers`).
"""

from __future__ import annotations

from pydantic import Field, SecretStr

from literesearcher.settings.sections import Section


class ProviderSection(Section):
    """One provider: its key, where it answers, what it costs, how much it may be asked."""

    api_key: SecretStr | None = Field(None, description="The provider's key.")
    base_url: str | None = Field(None, description="Where the provider answers.")
    cost_usd: float = Field(0.0, ge=0, description="USD of one request that was answered; by your plan.")
    per_second: float = Field(20.0, gt=0, description="Requests a second, all processes on one Redis together.")
    burst: int = Field(40, ge=1, description="Requests at once after a pause.")
    concurrency: int = Field(64, ge=1, description="Requests under way in one process.")

    @property
    def own_base(self) -> bool:
        """Is the base URL another than the provider's own: an instance of the operator's?"""
        return self.base_url is not None and self.base_url != type(self).model_fields["base_url"].default


class SerperSection(ProviderSection):
    """`POST {base}/search`."""

    base_url: str | None = Field("https://google.serper.dev", description="Searches are `POST {base}/search`.")
    cost_usd: float = Field(0.001, ge=0, description="USD of one request that was answered; by your plan.")


class SearxngSection(ProviderSection):
    """`GET {base}/search?q=…&format=json`, an instance of your own."""

    api_key: SecretStr | None = Field(None, description="Bearer key, where a proxy before the instance wants one.")
    base_url: str | None = Field(
        None, description="Your instance; its settings.yml must list `json` under search.formats."
    )


class BraveSection(ProviderSection):
    """`GET {base}/res/v1/web/search`."""

    base_url: str | None = Field("https://api.search.brave.com", description="Where the provider answers.")
    cost_usd: float = Field(0.005, ge=0, description="USD of one request that was answered; by your plan.")
    per_second: float = Field(1.0, gt=0, description="Requests a second, all processes on one Redis together.")
    burst: int = Field(1, ge=1, description="Requests at once after a pause.")


class TavilySection(ProviderSection):
    """`POST {base}/search`."""

    base_url: str | None = Field("https://api.tavily.com", description="Where the provider answers.")
    cost_usd: float = Field(0.008, ge=0, description="USD of one request that was answered; by your plan.")
    per_second: float = Field(
        1.6, gt=0, description="Requests a second, all processes on one Redis together; a production key takes 16."
    )
    burst: int = Field(20, ge=1, description="Requests at once after a pause.")


class DirectSection(ProviderSection):
    """Pages fetched from here; it has neither key nor base URL."""

    per_second: float = Field(200.0, gt=0, description="Requests a second, all processes on one Redis together.")
    burst: int = Field(400, ge=1, description="Requests at once after a pause.")
    concurrency: int = Field(256, ge=1, description="Requests under way in one process.")


class ReaderSection(ProviderSection):
    """A provider that opens the URL itself."""

    self_hosted: bool | None = Field(
        None,
        description="Does the reader see your own network? Then targets that do not resolve here are refused too; "
        "default: yes where the base URL is not the provider's own.",
    )

    @property
    def sees_our_network(self) -> bool:
        """`self_hosted`, or its default."""
        return self.own_base if self.self_hosted is None else self.self_hosted


class FirecrawlSection(ReaderSection):
    """`POST {base}/v2/scrape`."""

    api_key: SecretStr | None = Field(
        None, description="The provider's key; an instance of your own may do without one."
    )
    base_url: str | None = Field("https://api.firecrawl.dev", description="Where the provider answers.")
    cost_usd: float = Field(0.001, ge=0, description="USD of one request that was answered; by your plan.")
    per_second: float = Field(8.0, gt=0, description="Requests a second, all processes on one Redis together.")
    burst: int = Field(10, ge=1, description="Requests at once after a pause.")
    concurrency: int = Field(50, ge=1, description="Requests under way in one process.")


class JinaSection(ReaderSection):
    """`GET {base}/{url}`."""

    api_key: SecretStr | None = Field(None, description="The provider's key; without one it reads few pages a minute.")
    base_url: str | None = Field("https://r.jina.ai", description="Pages are `GET {base}/{url}`.")
    per_second: float = Field(8.0, gt=0, description="Requests a second, all processes on one Redis together.")


class ScrapedoSection(ReaderSection):
    """`GET {base}/?token=…&url=…`."""

    base_url: str | None = Field("https://api.scrape.do", description="Pages are `GET {base}/?token=…&url=…`.")
    cost_usd: float = Field(0.0006, ge=0, description="USD of one request that was answered; by your plan.")
    concurrency: int = Field(5, ge=1, description="Requests under way in one process; larger plans take more.")
