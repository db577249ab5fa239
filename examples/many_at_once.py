"""Keep a server busy from one asyncio program: several questions under way, never more than it will queue.

python examples/many_at_once.py localhost:50051 holiday/*.jpg
"""

from __future__ import annotations

import asyncio
import sys

import setwise


async def main(target: str, pictures: list[str]) -> None:
    """Ask with all pictures, at most as many at once as the server computes, and print answers as they come."""
    async with setwise.connect_async(target) as client:
        limits = (await client.info()).limits
        room = asyncio.Semaphore(limits.max_concurrent)

        async def ask(picture: str) -> None:
            async with room:
                hits = await client.search(picture, k=1)
            print(f"{picture}: {hits[0].id if hits else 'nothing'} after {hits.timings.total_ms:.0f} ms in the server")

        await asyncio.gather(*(ask(picture) for picture in pictures))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
