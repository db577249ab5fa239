"""Bounds that might prove a whole collection's top 10 at less than a full scan: what each leaves and costs.

    OMP_NUM_THREADS=1 python benchmarks/pruning_ideas.py COLLECTION [--queries RAW.npy]

For every bound: its multiply-adds as a share of a full affinity's; its cost with what goes beside them; its median
distance from the exact cosine; the share of images that it cannot rule out against the true 10th score; what the scan
costs if those then take the full affinity; and the share left by `min_score=0.5`. Each bound is checked against the
exact cosine of every pair. Arithmetic is float32 except where a row says int8. Needs sets of equal sizes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _bounds import Floats, World, codes, halved, kth_score, low_rank, norm, row_column, tightened
from _shared import machine, say, table
from numpy.typing import NDArray

from setwise_engine.collection import Collection

Half = NDArray[np.float16]
Bound = Callable[[int], NDArray[np.floating]]

TOP = 10
# By benchmarks/two_sided.cpp at 100 x 256, in full affinities (13 us): a pass over the matrix beyond the one that
# writes it, and turning products of int8 codes into int8 codes again.
PASS, AGAIN = 0.04, 0.07
SLACK = 2e-5  # float32 here, not part of any bound
MIN_SCORE = 0.5


@dataclass(frozen=True)
class Idea:
    """One bound: multiply-adds as a share of the full affinity's, further passes over the matrix, bounds of a query."""

    name: str
    products: float
    passes: int
    bound: Bound
    beside: float = 0.0  # other work, in full affinities


def full(world: World) -> Iterator[Idea]:
    """All dimensions of all tokens: what is left when nothing is saved before the affinity."""
    for name, passes, of in (("rows / columns", 1, row_column), ("halved", 1, halved), ("tightened", 2, tightened)):
        yield Idea(f"full affinity, {name}", 1.0, passes, lambda a, of=of: world.means[a] + of(world.affinity(a)))
    q, x = (codes(sets) for sets in (world.q, world.x))
    error = norm(world.q)[:, None] * norm(world.x - x) + norm(world.q - q)[:, None] * norm(x)

    def gate(a: int) -> Floats:
        return world.means[a] + error[a] + tightened(np.einsum("id,xjd->xij", q[a], x, optimize=True))

    yield Idea("full affinity in int8 with its error, tightened", 1.0, 2, gate)
    yield from _priced(world)


def _priced(world: World, references: int = 16) -> Iterator[Idea]:
    """One pass with prices known before: an image's against some other images, or the query's against the same ones."""
    few = world.x[:: max(1, len(world.x) // references)]
    stored = np.zeros(world.x.shape[:2], np.float32)
    for reference in few:
        affinity = np.einsum("id,xjd->xij", reference, world.x, optimize=True)
        stored += (affinity - 0.5 * affinity.max(2)[:, :, None]).max(1) / len(few)

    def by_image(a: int) -> Floats:
        return world.means[a] + stored.sum(1) + (world.affinity(a) - stored[:, None, :]).max(2).sum(1)

    def by_query(a: int) -> Floats:
        seen = np.einsum("id,xjd->xij", world.q[a], few, optimize=True)
        u = (seen - 0.5 * seen.max(1)[:, None, :]).max(2).mean(0)
        return world.means[a] + u.sum() + (world.affinity(a) - u[:, None]).max(1).sum(1)

    yield Idea("full affinity, rows less stored prices", 1.0, 0, by_image)
    yield Idea("full affinity, columns less the query's mean prices", 1.0, 1, by_query)


def moments(world: World) -> Iterator[Idea]:
    """Nothing of the affinity: Cauchy-Schwarz per dimension, and the best that any second moments can give."""
    q, x = (np.sqrt(np.einsum("snd,snd->sd", sets, sets)) for sets in world.principal())
    yield Idea("moments per principal dimension", 0.01, 0, lambda a: world.means[a] + x @ q[a])
    (w, b), rank = low_rank(world.x, min(world.x.shape[1:])), min(world.x.shape[1:])
    scaled = norm(w.swapaxes(1, 2)[..., None])[..., None] * b

    def nuclear(a: int) -> Floats:
        core = np.einsum("kd,xld->xkl", np.multiply(*_own(world.q[a], rank)), scaled, optimize=True)
        return world.means[a] + np.linalg.svd(core, compute_uv=False).sum(1)

    yield Idea("nuclear norm of the affinity (dearer than solving it)", 1.0, 0, nuclear)


def _own(q: Floats, rank: int) -> tuple[Floats, Floats]:
    """Singular values (rank, 1) and right singular vectors (rank, d) of one set."""
    _, s, v = np.linalg.svd(q, full_matrices=False)
    return s[:rank, None], v[:rank]


def ladder(world: World) -> Iterator[Idea]:
    """The first principal dimensions exactly, the rest by its moments."""
    dims = world.x.shape[2]
    both = q_sets, x_sets = world.principal()
    q, x = (np.sqrt(np.einsum("snd,snd->sd", sets, sets)) for sets in both)
    for part in (0.25, 0.5, 0.625, 0.75):
        r = round(part * dims)

        def bound(a: int, r: int = r) -> Floats:
            head = np.einsum("id,xjd->xij", q_sets[a, :, :r], x_sets[:, :, :r], optimize=True)
            return world.means[a] + tightened(head) + x[:, r:] @ q[a, r:]

        yield Idea(f"ladder, {r} of {dims} dimensions", part, 2, bound)


def fewer_rows(world: World) -> Iterator[Idea]:
    """The query's heaviest tokens exactly; the rest: products of norms, both in falling order."""
    n = world.x.shape[1]
    weights = np.sort(np.linalg.norm(world.x, axis=2), axis=1)[:, ::-1]
    for part in (0.5, 0.75, 0.9):
        kept = round(part * n)

        def bound(a: int, kept: int = kept) -> Floats:
            own = np.linalg.norm(world.q[a], axis=1)
            order = np.argsort(-own)
            heavy = np.einsum("id,xjd->xij", world.q[a][order[:kept]], world.x, optimize=True).max(2).sum(1)
            return world.means[a] + heavy + weights[:, : n - kept] @ own[order[kept:]]

        yield Idea(f"{kept} heaviest of {n} rows", part, 0, bound)


def merged(world: World) -> Iterator[Idea]:
    """Neighbours of both grids merged into pairs: means exactly, half differences by Cauchy-Schwarz."""
    if world.x.shape[1] % 2:
        return

    def split(sets: Floats) -> tuple[Floats, Floats, Floats]:
        pairs = sets.reshape(*sets.shape[:-2], -1, 2, sets.shape[-1])
        mean = pairs.mean(-2)
        return mean, np.sqrt(2.0) * norm(mean), np.sqrt(2.0) * norm((pairs[..., 0, :] - pairs[..., 1, :]) / 2)

    x, x_mean, x_rest = split(world.x)

    def bound(a: int) -> Floats:
        q, q_mean, q_rest = split(world.q[a])
        # A matching of tokens is a sum of two matchings of merged tokens, two tokens each.
        best = 2 * row_column(np.einsum("id,xjd->xij", q, x, optimize=True))
        return world.means[a] + best + q_mean * x_rest + q_rest * x_mean + q_rest * x_rest

    yield Idea("neighbouring tokens merged into pairs", 0.25, 1, bound)


def codebook(world: World) -> Iterator[Idea]:
    """Each token as its nearest of K centroids; the query meets the centroids once for all images."""
    flat = world.x.reshape(-1, world.x.shape[2])
    rng = np.random.default_rng(0)
    for count in (1024, 4096):
        if count >= len(flat):
            return
        centres = flat[rng.choice(len(flat), count, replace=False)]
        for _ in range(2):
            nearest = _nearest(flat, centres)
            sizes = np.maximum(np.bincount(nearest, minlength=count), 1)[:, None]
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, flat)
            centres = sums / sizes
        words = centres[_nearest(flat, centres)].reshape(world.x.shape)
        rest = norm(world.x - words)

        def bound(a: int, words: Floats = words, rest: Floats = rest) -> Floats:
            approximate = tightened(np.einsum("id,xjd->xij", world.q[a], words, optimize=True))
            return world.means[a] + approximate + norm(world.q[a]) * rest

        # Looking up n x n products by centroid costs a gather each, dearer than 64 multiply-adds; counted as nothing.
        yield Idea(f"codebook of {count} tokens (rest of the norm {rest.mean():.2f})", count / len(flat), 2, bound)


def _nearest(tokens: Floats, centres: Floats) -> NDArray[np.int64]:
    own = 0.5 * np.einsum("kd,kd->k", centres, centres)
    parts = [np.argmax(tokens[start : start + 4000] @ centres.T - own, 1) for start in range(0, len(tokens), 4000)]
    return np.concatenate(parts)


def pivots(world: World) -> Iterator[Idea]:
    """d = sqrt(2 - 2 cosine) is a metric of sets of one size; the other queries are pivots, distances for nothing."""
    whole = np.sqrt(np.maximum(0.0, 2 - 2 * np.maximum(world.exact, -1)))
    between = np.zeros((len(world.q), len(world.q)))
    for a in world.queries():  # a pivot's distance from below and above: exact is not needed to show that none reaches
        apart = halved(np.einsum("id,xjd->xij", world.q[a], world.q, optimize=True)) + _mean_part(world, a)
        between[a] = np.sqrt(np.maximum(0.0, 2 - 2 * apart))

    def bound(a: int) -> NDArray[np.floating]:
        others = [b for b in world.queries() if b != a]
        least = np.max([between[a, b] - whole[b] for b in others], axis=0)
        return 1 - 0.5 * np.maximum(least, 0.0) ** 2

    yield Idea(f"triangle inequality, {len(world.q) - 1} pivots, distances known", 0.0, 0, bound)
    for cosine in (0.99, 0.995, 0.999):
        step = np.sqrt(2 - 2 * cosine)
        yield Idea(
            f"copy of a solved image, cosine {cosine} between them", 0.0, 0, lambda a, d=step: world.exact[a] + d
        )


def _mean_part(world: World, a: int) -> NDArray[np.floating]:
    """An upper bound of the part of the means between queries: by norms, as only differences of queries are known."""
    rest = np.sqrt(np.maximum(0.0, 1 - norm(world.q) ** 2))
    return rest[a] * rest


def one_sided(world: World) -> Iterator[Idea]:
    """Each image by its own best directions, the rest of it by Cauchy-Schwarz against the query outside of them."""
    _, n, d = world.x.shape
    for rank in (16, 32, 48):
        w, b = low_rank(world.x, rank)
        rest = norm(world.x - w @ b)

        def bound(a: int, w: Floats = w, b: Floats = b, rest: Floats = rest) -> Floats:
            seen = np.einsum("id,xkd->xik", world.q[a], b, optimize=True)
            outside = np.sqrt(np.maximum(0.0, norm(world.q[a]) ** 2 - norm(seen) ** 2))
            return world.means[a] + tightened(seen @ w.swapaxes(1, 2)) + outside * rest

        yield Idea(f"own directions of the image, {rank}", rank * (n * d + n * n) / (n * n * d), 2, bound, AGAIN)


def two_sided(world: World) -> Iterator[Idea]:
    """Directions of both sets: what both leave out is a product of two small rests."""
    _, n, d = world.x.shape
    for rank in (4, 8, 12, 16, 20, 24):
        w, b = low_rank(world.x, rank)
        rest = world.x - w @ b

        def bound(a: int, rank: int = rank, rest: Floats = rest) -> Floats:
            own = world.q[a] - np.matmul(*low_rank(world.q[a], rank))
            affinity = world.affinity(a) - np.einsum("id,xjd->xij", own, rest, optimize=True)
            return world.means[a] + tightened(affinity) + norm(own) * norm(rest)

        products = 2 * rank * (n * d + n * n) / (n * n * d)
        yield Idea(f"own directions of both sets, {rank} + {rank}", products, 2, bound, AGAIN)
        if rank in (12, 16, 20):
            name = f"the same in int8 with its error, {rank} + {rank}"
            yield Idea(name, products, 2, _two_sided_int8(world, rank), AGAIN)


def _factors(sets: Floats, rank: int) -> tuple[Floats, Floats, Floats]:
    """W, B as int8 codes stand for them and the rest X - W B, which holds what the codes lose."""
    _, b = low_rank(sets, rank)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((rank, rank)))[0].astype(np.float32)
    b = codes((turn @ b).reshape(*b.shape[:-2], -1)).reshape(b.shape)  # one scale for all of B
    w = codes(sets @ np.linalg.pinv(b))
    return w, b, sets - w @ b


def _two_sided_int8(world: World, rank: int) -> Bound:
    """Every product of int8 codes, every rounding in the bound: what a kernel would compute.

    A = Wq (Bq X^T) + (Rq B^T) W^T + Rq R^T, with R = X - W B, Rq = Q - Wq Bq. X and Rq have int8 codes of known error.
    The first two are one product of [c Rq B^T, Wq] and [W / c, X Bq^T], each row int8 with one scale: on the left the
    same for all images, from c |Rq_i| and Wq_i, so that only the image's side is rounded by what it holds. c = 2 keeps
    both roundings small. Of the last product only the norms are known.
    """
    w, b, rest = _factors(world.x, rank)
    x = codes(world.x)
    x_error, rest_norm = norm(world.x - x), norm(rest)
    known = norm(w @ b)
    longest, c = np.linalg.norm(b, axis=2).max(), np.float32(2)

    def bound(a: int) -> Floats:
        wq, bq, rq = _factors(world.q[a], rank)
        rq_codes = codes(rq)
        p = np.einsum("id,xkd->xik", rq_codes, b, optimize=True)
        t = np.einsum("kd,xjd->xjk", bq, x, optimize=True)
        left = np.concatenate([c * p, np.broadcast_to(wq, p.shape)], axis=2)
        right = np.concatenate([w / c, t], axis=2)
        scale = np.maximum(np.abs(wq).max(1), longest * c * np.linalg.norm(rq_codes, axis=1))[:, None] / np.float32(127)
        lc, rc = np.rint(left / scale) * scale, codes(right)
        rounding = norm(left - lc) * norm(right) + norm(lc) * norm(right - rc)
        error = rounding + norm(wq @ bq) * x_error + norm(rq - rq_codes) * known + norm(rq) * rest_norm
        return world.means[a] + tightened(lc @ rc.swapaxes(1, 2)) + error

    return bound


IDEAS = (full, moments, ladder, fewer_rows, merged, codebook, pivots, one_sided, two_sided)


def rows(world: World) -> Iterator[list[str]]:
    """One line of the table a bound."""
    for idea in (idea for ideas in IDEAS for idea in ideas(world)):
        bounds = [idea.bound(a) for a in world.queries()]
        if any((bound < exact - SLACK).any() for bound, exact in zip(bounds, world.exact, strict=True)):
            raise AssertionError(f"{idea.name} lies below an exact score")
        real = np.isfinite(world.exact)
        slack = np.median((np.array(bounds) - world.exact)[real])
        left = [float((b[r] >= tau).mean()) for b, tau, r in zip(bounds, world.kth, real, strict=True)]
        high = np.mean([(b[r] >= MIN_SCORE).mean() for b, r in zip(bounds, real, strict=True)])
        first = idea.products + idea.beside + PASS * idea.passes
        whole = first if idea.name.startswith("full") else first + np.mean(left) * (1 + PASS)
        share = f"{np.mean(left):.1%} ({max(left):.1%})"
        yield [idea.name, f"{idea.products:.2f}", f"{first:.2f}", f"{slack:.3f}", share, f"{whole:.2f}", f"{high:.1%}"]
        say(idea.name)


def load(path: Path, raw: Path | None, queries: int, images: int) -> World:
    """Open the collection, find the true 10th scores in all of it, and take a sample of its images."""
    with Collection.open(path, read_only=True) as collection, collection.snapshot() as snapshot:
        sets = np.array([np.array(snapshot.tokens(key)) for key in snapshot.page("", len(snapshot))])
        encoder = collection.encoder
    if sets.ndim != 3:
        raise SystemExit("pruning_ideas.py: the collection's sets differ in size; give one where they are equal")
    chosen = np.linspace(0, len(sets) - 1, min(images, len(sets))).astype(int)
    if raw is None:
        places = np.linspace(0, len(chosen) - 1, queries).astype(int).tolist()
        asked, own, skip = sets[chosen[places]], list(places), chosen[places].tolist()
    else:
        features = np.load(raw, mmap_mode="r")
        asked = encoder.encode(np.array(features[:: max(1, len(features) // queries)][:queries]))
        own = skip = [None] * len(asked)
    kth = np.array([kth_score(q, sets, TOP, row) for q, row in zip(asked, skip, strict=True)])
    return World.of(asked, sets[chosen], kth, own)


def main() -> None:
    """Measure every idea on one collection and print the table."""
    parser = argparse.ArgumentParser(description="What bounds could spare of a full scan, and at what cost.")
    parser.add_argument("collection", type=Path)
    parser.add_argument("--queries", type=Path, help="raw features (q, n, D) in a .npy; without: stored images")
    parser.add_argument("--count", type=int, default=10, help="queries")
    parser.add_argument("--images", type=int, default=1000, help="images that the shares are taken over")
    args = parser.parse_args()
    world = load(args.collection, args.queries, args.count, args.images)
    print(machine(), end="\n\n")
    median = np.median(world.exact[np.isfinite(world.exact)])
    print(f"{args.collection.name}: {world.x.shape[0]} images of {world.x.shape[1]} x {world.x.shape[2]}, ", end="")
    print(f"{len(world.q)} queries; median cosine {median:.3f}, 10th {np.mean(world.kth):.3f}\n")
    header = [
        "bound",
        "multiply-adds",
        "with all",
        "slack",
        "images left (worst query)",
        "scan in all",
        "left at 0.5",
    ]
    print(table(header, list(rows(world))))


if __name__ == "__main__":
    main()
