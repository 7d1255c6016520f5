"""SGLang's processes and the one thread of this process that they belong to.

Owns: start, calls from any event loop, the death of a child, stop. SGLang's children die with the thread that made them
and its tokenizer manager belongs to one event loop, so a thread with a loop of its own lives as long as this object.
Refuses to know: prompts, sampling, jobs. Above: `engine.sglang.engine`. Below: SGLang, imported in that thread.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import contextlib
import importlib
import logging
import multiprocessing
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from literesearcher.engine.sglang.containment import (
    own_loop_policy_and_logs,
    own_metrics,
    quiet_quits,
    signals_of_the_main_thread,
    speak_through_environment,
)
from literesearcher.engine.sglang.failures import unreachable
from literesearcher.errors import BoundaryError, ConfigurationError, LiteResearcherError

logger = logging.getLogger(__name__)

T = TypeVar("T")
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_EXCERPT = 400
_START_FAILURES = (
    *(RuntimeError, EOFError, OSError, ValueError, TypeError, AssertionError, ImportError, AttributeError, LookupError),
    *(argparse.ArgumentError, SystemExit),
)
"""What SGLang is known to end its start with, its parser's exit included."""


class Runtime:
    """One SGLang with its scheduler and detokenizer processes. `start`, then `call`, then `stop`; never again."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """`arguments` are SGLang's command line."""
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._engine: Any = None
        self._children: list[Any] = []
        self._ended: asyncio.Event | None = None
        self._why = "it was not started"
        self._calls: set[asyncio.Task[Any]] = set()
        self._stopping = threading.Event()
        self._before: set[Any] = set()

    @property
    def alive(self) -> bool:
        """Started, and none of its processes has ended."""
        return self._ended is not None and not self._ended.is_set()

    @property
    def pool_tokens(self) -> int:
        """The whole KV pool, in tokens."""
        return int(self._engine._scheduler_init_result.scheduler_infos[0]["max_total_num_tokens"])

    @property
    def process_ids(self) -> list[int]:
        """SGLang's own processes, the first ranks before the detokenizer."""
        return [int(child.pid) for child in self._children]

    def start(self) -> None:
        """Blocks until the model is loaded. BoundaryError `engine_unreachable` with SGLang's words where it is not."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="sglang", daemon=True)
        self._thread.start()
        ready.result()

    async def call(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """`work(sglang's engine)` on SGLang's loop; cancelling the call cancels it there. BoundaryError
        `engine_unreachable` at once where a process of SGLang ends meanwhile."""
        if not self.alive or self._loop is None:
            raise unreachable(self._why)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._guarded(work), self._loop))

    def stop(self) -> None:
        """End SGLang's processes and the thread, also while it starts. Blocks until they are gone (a start that is
        still importing SGLang is waited for); safe to call twice."""
        thread = self._thread
        if thread is None:
            return
        self._why = "it was stopped"
        self._stopping.set()
        while thread.is_alive():
            loop, self._loop = self._loop, None
            if loop is not None:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(loop.stop)
                thread.join(_STOP_SECONDS)
                return
            # SGLang waits for what its processes say, and gives up when they end.
            _end(self._new_children())
            thread.join(_LOOK_SECONDS)

    def _new_children(self) -> set[Any]:
        return set(multiprocessing.active_children()) - self._before

    async def _guarded(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        assert self._ended is not None
        own = asyncio.current_task()
        assert own is not None
        self._calls.add(own)
        task = asyncio.ensure_future(work(self._engine))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise unreachable(self._why)
            return task.result()
        finally:
            ended.cancel()
            task.cancel()
            self._calls.discard(own)

    def _run(self, ready: Future[None]) -> None:
        """The thread: build, serve, take down."""
        self._before = set(multiprocessing.active_children())
        with quiet_quits(), own_metrics():
            try:
                loop = self._built()
            except _START_FAILURES as error:
                _end(self._new_children())
                stopped = self._stopping.is_set()
                ready.set_exception(unreachable(self._why) if stopped else _not_started(error))
                return
            finally:
                if not ready.done() and self._engine is None:
                    ready.set_exception(unreachable("it broke while it started"))
            self._watch(loop)
            self._loop = loop
            ready.set_result(None)
            loop.run_forever()
            self._take_down(loop)

    def _built(self) -> asyncio.AbstractEventLoop:
        speak_through_environment(self._environment)
        with own_loop_policy_and_logs(), signals_of_the_main_thread():
            sglang = importlib.import_module("sglang")
            server_args = importlib.import_module("sglang.srt.server_args").ServerArgs
            if self._stopping.is_set():
                raise RuntimeError(self._why)
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            parser = argparse.ArgumentParser(exit_on_error=False)
            server_args.add_cli_args(parser)
            parsed = server_args.from_cli_args(parser.parse_args(self._arguments))
            self._engine = sglang.Engine(server_args=parsed)
        # It would kill every child of this process, page workers included, when the interpreter ends.
        atexit.unregister(self._engine.shutdown)
        return loop

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """SGLang's own watchdog ends the whole process by a signal; here the calls under way are told."""
        watchdog = self._engine.tokenizer_manager._subprocess_watchdog
        self._children = list(watchdog._processes)
        watchdog.stop()
        self._ended = asyncio.Event()
        for child in self._children:
            loop.add_reader(child.sentinel, self._child_ended, loop, child)

    def _child_ended(self, loop: asyncio.AbstractEventLoop, child: Any) -> None:
        loop.remove_reader(child.sentinel)
        self._why = f"its process {child.pid} ended"
        assert self._ended is not None
        if not self._ended.is_set():
            logger.error("SGLang's process %s ended: calls under way fail", child.pid)
            self._ended.set()

    def _take_down(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._ended is not None
        for child in self._children:
            loop.remove_reader(child.sentinel)
        self._ended.set()
        # The callers hear of it before the loop goes: a cancelled call would look like one that they gave up.
        loop.run_until_complete(asyncio.gather(*self._calls, return_exceptions=True))
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        _end(self._children)
        self._engine.send_to_rpc.close(linger=0)
        self._engine = None
        loop.close()


def _end(children: Iterable[Any]) -> None:
    """SGLang ends its processes so too; what a scheduler holds of a GPU goes with it."""
    for child in children:
        child.kill()
    for child in children:
        child.join(_STOP_SECONDS)


def _not_started(error: BaseException) -> LiteResearcherError:
    words = " ".join(str(error).split())[:_EXCERPT] or type(error).__name__
    if isinstance(error, EOFError | OSError | RuntimeError):
        return BoundaryError(
            f"SGLang did not start: {words} (its own log says more)", code="engine_unreachable", transient=False
        )
    return ConfigurationError(f"SGLang does not start with these settings: {words}")
