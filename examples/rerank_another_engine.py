"""Put exact set matching behind a search engine that you already have.

The other engine gives ids, best first; Setwise puts them in exact order. Here the other engine is the mean of each
image's tokens, as any vector database would hold it.

python examples/rerank_another_engine.py photos.setwise query.jpg
"""

from __future__ import annotations

import sys

import setwise


def other_engine(client: setwise.Client, query: str, count: int) -> list[str]:
    """The first `count` ids by the cosine of mean vectors: stands for Qdrant, Milvus, Elasticsearch or FAISS."""
    everything = [image.id for image in client.list()]
    hits = client.rerank(query, everything, scores=True, metadata=False)
    pooled = {hit.id: hit.scores.pooled for hit in hits if hit.scores is not None}
    return sorted(pooled, key=pooled.__getitem__, reverse=True)[:count]


def main(target: str, query: str) -> None:
    """Print both orders side by side."""
    with setwise.connect(target) as client:
        before = other_engine(client, query, 8)
        after = client.rerank(query, before)
    print(f"{'other engine':40}  exact set matching")
    for old, new in zip(before, after, strict=True):
        print(f"{old:40}  {new.score:.4f}  {new.id}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
