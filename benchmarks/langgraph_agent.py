"""The same research loop on LangGraph with its SQLite checkpointer, for `turn_overhead.py` to compare with.

A graph of two nodes, `model` and `tool`, over LangGraph's own message state, checkpointed after each step as it does by
default. `--client lean` makes HTTP and JSON as cheap as the platform does, so that what differs is the framework;
`--client langchain` calls the model through ChatOpenAI, as its documentation does. Both leave out what the platform
does besides (URL guard, name resolution, retries, leases, events for clients).
Run by the benchmark in its own environment; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph

ROLES = {"system": "system", "human": "user", "ai": "assistant"}
SAMPLING = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "presence_penalty": 1.1, "max_tokens": 10_000}
CALL = re.compile(r"<tool_call>\n(.*)\n</tool_call>", re.S)
SYSTEM = "You are a researcher. " * 150


class Agent:
    """Nodes of the graph over one HTTP session."""

    def __init__(self, session: aiohttp.ClientSession, url: str, chat: ChatOpenAI | None) -> None:
        self._session = session
        self._url = url
        self._chat = chat

    async def _complete(self, messages: list[dict[str, Any]]) -> str:
        body = orjson.dumps({"model": "replayed-rollouts", "messages": messages, **SAMPLING})
        headers = {"Content-Type": "application/json"}
        async with self._session.post(f"{self._url}/v1/chat/completions", data=body, headers=headers) as answer:
            return str(orjson.loads(await answer.read())["choices"][0]["message"]["content"])

    async def model(self, state: MessagesState) -> dict[str, Any]:
        """One turn."""
        if self._chat is not None:
            return {"messages": [await self._chat.ainvoke(state["messages"])]}
        messages = [{"role": ROLES[one.type], "content": one.content} for one in state["messages"]]
        return {"messages": [AIMessage(await self._complete(messages))]}

    async def tool(self, state: MessagesState) -> dict[str, Any]:
        """One call, in the published formats."""
        call = orjson.loads(CALL.findall(str(state["messages"][-1].content))[-1])
        arguments = call["arguments"]
        if call["name"] == "search":
            parts = await asyncio.gather(*(self._search(query) for query in arguments["query"]))
            text = "\n=======\n".join(parts)
        else:
            parts = await asyncio.gather(*(self._visit(url, arguments["goal"]) for url in arguments["url"]))
            text = "\n=======\n".join(parts).strip()
        return {"messages": [HumanMessage(f"<tool_response>\n{text}\n</tool_response>")]}

    async def _search(self, query: str) -> str:
        place = {"gl": "cn"} if re.search("[\u4e00-\u9fff]", query) else {"gl": "us"}
        body = orjson.dumps({"q": query, **place})
        async with self._session.post(f"{self._url}/serper/search", data=body, headers={"X-API-KEY": "k"}) as answer:
            if answer.status != 200:
                return f"Google search timeout for query: '{query}'"
            organic = orjson.loads(await answer.read()).get("organic")
        if organic is None:
            return f"No results found for '{query}'."
        entries = []
        for number, one in enumerate(organic, start=1):
            entry = f"{number}. [{one['title']}]({one['link']})\n"
            entry += f"Date published: {one['date']}\n" if "date" in one else ""
            entry += f"Source: {one['source']}\n" if "source" in one else ""
            entries.append(entry + (f"\n{one['snippet']}" if "snippet" in one else ""))
        head = f"A Google search for '{query}' found {len(entries)} results:\n\n## Web Results\n"
        return head + "\n\n".join(entries)

    async def _visit(self, url: str, goal: str) -> str:
        evidence, summary = await self._read(url, goal)
        return (
            f"The useful information in {url} for user goal {goal} as follows: \n\n"
            f"Evidence in page: \n{evidence}\n\nSummary: \n{summary}\n\n"
        )

    async def _read(self, url: str, goal: str) -> tuple[str, str]:
        async with self._session.get(f"{self._url}/jina/{url.split('#')[0]}") as answer:
            page = (await answer.read()).decode()
            if answer.status != 200:
                return (
                    "The provided webpage content could not be accessed.",
                    "The webpage content could not be processed.",
                )
        if len(page) < 500:
            return (
                "The webpage content is too short or could not be fully loaded.",
                "The webpage content could not be processed.",
            )
        prompt = f"Page:\n{page}\n\nGoal:\n{goal}"
        for _ in range(2):
            if self._chat is not None:
                said = str((await self._chat.ainvoke([HumanMessage(prompt)])).content)
            else:
                said = await self._complete([{"role": "user", "content": prompt}])
            try:
                fields = orjson.loads(said)
                return fields["evidence"], fields["summary"]
            except orjson.JSONDecodeError:
                continue
        return "Failed to extract", "Content could not be processed"


def after_model(state: MessagesState) -> str:
    """On to the tool, or to the end."""
    return "tool" if "<tool_call>" in str(state["messages"][-1].content).rsplit("</think>", 1)[-1] else END


async def run(url: str, questions: list[str], database: Path, client: str) -> dict[str, Any]:
    """All questions at once; CPU seconds of this process, all its threads, from the first to the last turn."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        AsyncSqliteSaver.from_conn_string(str(database)) as saver,
    ):
        await saver.setup()
        chat = None
        if client == "langchain":
            own = ("temperature", "top_p", "presence_penalty", "max_tokens")
            chat = ChatOpenAI(
                base_url=f"{url}/v1",
                api_key="none",
                model="replayed-rollouts",
                extra_body={"top_k": SAMPLING["top_k"]},
                max_retries=0,
                **{name: SAMPLING[name] for name in own},
            )
        agent = Agent(session, url, chat)
        builder = StateGraph(MessagesState)
        builder.add_node("model", agent.model)
        builder.add_node("tool", agent.tool)
        builder.add_edge(START, "model")
        builder.add_conditional_edges("model", after_model)
        builder.add_edge("tool", "model")
        graph = builder.compile(checkpointer=saver)

        async def one(number: int, question: str) -> int:
            start = {"messages": [SystemMessage(SYSTEM), HumanMessage(question)]}
            config = {"configurable": {"thread_id": str(number)}, "recursion_limit": 1000}
            state = await graph.ainvoke(start, config)
            return sum(1 for message in state["messages"] if message.type == "ai")

        cpu, wall = time.process_time(), time.monotonic()
        turns = sum(await asyncio.gather(*(one(*item) for item in enumerate(questions))))
        return {
            "turns": turns,
            "cpu_seconds": time.process_time() - cpu,
            "wall_seconds": time.monotonic() - wall,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def main() -> None:
    """`--url`, `--questions FILE` (a JSON list), `--database FILE`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--client", choices=["lean", "langchain"], default="lean")
    given = parser.parse_args()
    asked = orjson.loads(given.questions.read_bytes())
    print(orjson.dumps(asyncio.run(run(given.url, asked, given.database, given.client))).decode())


if __name__ == "__main__":
    main()
