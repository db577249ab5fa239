"""The standard services: health with Watch, and reflection under both of its names."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from setwise_proto.v1 import collections_pb2, search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings, _health
from setwise_server._health import LIVENESS, READINESS
from setwise_server._servicer import SERVICES
from setwise_server.serve import Server

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SEARCH = "/setwise.v1.SearchService/Search"


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_a_loaded_server_is_serving_under_every_name(server, service: str) -> None:
    check = health_pb2_grpc.HealthStub(server.channel).Check
    assert check(health_pb2.HealthCheckRequest(service=service)).status == SERVING


def test_a_service_that_is_not_there_is_not_found(server) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(service="nope"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_follows_the_server_through_its_life_and_early_or_late_calls_are_told_to_wait(sets_path, gate) -> None:
    async def life() -> None:
        server = Server([sets_path], ServerSettings(port=0, device="cpu"))
        port = await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == NOT_SERVING
            await _told_to_wait(channel, "still loading")
            assert await server.load() == 1
            assert (await watch.read()).status == SERVING
            request = search_pb2.SearchRequest(query=types.Query(id="set-01"))
            running = channel.unary_unary(SEARCH)(request.SerializeToString())
            assert await asyncio.to_thread(gate.entered.acquire, timeout=5)
            stopping = asyncio.create_task(server.stop())
            assert (await watch.read()).status == NOT_SERVING
            await _told_to_wait(channel, "about to stop")
            gate.opened.set()
            assert search_pb2.SearchResponse.FromString(await running).hits
            await stopping

    asyncio.run(life())


async def _told_to_wait(channel: grpc.aio.Channel, why: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=why) as caught:
        await channel.unary_unary(SEARCH)(b"")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_the_services_and_hands_out_their_files(server, version: str) -> None:
    ask = server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    symbol = "setwise.v1.SearchService"
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol),
    ]
    listed, file = ask(iter(requests))
    names = {service.name for service in listed.list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} <= names
    assert any(b"SearchService" in data for data in file.file_descriptor_response.file_descriptor_proto)


def status_of(stubs, service: str) -> int:
    return health_pb2_grpc.HealthStub(stubs.channel).Check(health_pb2.HealthCheckRequest(service=service)).status


def watched(stubs, service: str):
    """What a watch says, as it comes."""
    watch = health_pb2_grpc.HealthStub(stubs.channel).Watch(health_pb2.HealthCheckRequest(service=service), timeout=60)
    return (response.status for response in watch)


@pytest.mark.parametrize("service", [LIVENESS, READINESS, "collection/photos", "collection/sets"])
def test_a_loaded_server_is_alive_ready_and_has_its_collections(server, service: str) -> None:
    assert status_of(server, service) == SERVING


def test_a_process_is_alive_and_not_ready_while_it_loads_and_while_it_stops(sets_path, gate) -> None:
    async def life() -> None:
        server = Server([sets_path], ServerSettings(port=0, device="cpu"))
        port = await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)

            async def told() -> list[int]:
                names = (LIVENESS, READINESS, "", "collection/sets", SERVICES[0])
                return [(await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]

            assert await told() == [SERVING, *[NOT_SERVING] * 4]
            await server.load()
            assert await told() == [SERVING] * 5
            running = channel.unary_unary(SEARCH)(
                search_pb2.SearchRequest(query=types.Query(id="set-01")).SerializeToString()
            )
            assert await asyncio.to_thread(gate.entered.acquire, timeout=5)
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0.05)
            assert await told() == [SERVING, *[NOT_SERVING] * 4]
            gate.opened.set()
            await running
            await stopping

    asyncio.run(life())


def test_a_watch_follows_a_collection_as_it_comes_breaks_and_goes(serving, sets_path, tmp_path) -> None:
    settings = ServerSettings(port=0, device="cpu", root=tmp_path)
    with serving([], settings) as stubs:
        watch = watched(stubs, "collection/sets")
        assert next(watch) == UNKNOWN
        shutil.copytree(sets_path, tmp_path / ".new")
        (tmp_path / ".new").rename(tmp_path / "sets.setwise")
        assert next(watch) == SERVING
        assert status_of(stubs, "collection/sets") == SERVING
        (tmp_path / "sets.setwise").rename(tmp_path / ".old")
        broken = tmp_path / ".broken"
        shutil.copytree(sets_path, broken)
        (broken / "encoder.safetensors").write_bytes(b"damaged")
        broken.rename(tmp_path / "sets.setwise")
        while (now := next(watch)) != NOT_SERVING:  # it may have been seen gone in between
            assert now == UNKNOWN
        (tmp_path / "sets.setwise").rename(broken)
        assert next(watch) == UNKNOWN
        with pytest.raises(grpc.RpcError) as caught:
            status_of(stubs, "collection/sets")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_an_alias_is_as_healthy_as_what_it_stands_for(serving, sets_path, tmp_path) -> None:
    shutil.copytree(sets_path, tmp_path / "sets.setwise")
    with serving([], ServerSettings(port=0, device="cpu", root=tmp_path)) as stubs:
        watch = watched(stubs, "collection/shop")
        assert next(watch) == UNKNOWN
        stubs.collections.SetAlias(collections_pb2.SetAliasRequest(alias="shop", collection="sets"))
        assert next(watch) == SERVING
        stubs.collections.DeleteAlias(collections_pb2.DeleteAliasRequest(alias="shop"))
        assert next(watch) == UNKNOWN


def test_of_several_collections_the_broken_one_is_reported_and_the_rest_serve(
    serving, sets_path, tmp_path, caplog
) -> None:
    broken = tmp_path / "broken.setwise"
    shutil.copytree(sets_path, broken)
    (broken / "encoder.safetensors").write_bytes(b"damaged")
    with serving([broken, sets_path]) as stubs:
        assert (status_of(stubs, "collection/broken"), status_of(stubs, "collection/sets")) == (NOT_SERVING, SERVING)
        assert status_of(stubs, READINESS) == SERVING
        listed = stubs.collections.ListCollections(collections_pb2.ListCollectionsRequest()).collections
        assert {each.name: "encoder.safetensors" in each.problem for each in listed} == {"broken": True, "sets": False}
        request = search_pb2.SearchRequest(query=types.Query(id="set-01"), collection="broken")
        assert stubs.failure(stubs.search.Search, request).info.reason == "UNKNOWN_FORMAT"
        request.collection = "sets"
        assert stubs.search.Search(request).hits
    assert 'collection "broken" cannot be opened, the rest are served' in caplog.text


def test_watches_are_bounded_and_given_up_ones_make_room(serving, sets_path, monkeypatch) -> None:
    monkeypatch.setattr(_health, "MAX_WATCHES", 2)
    with serving([sets_path]) as stubs:
        stub = health_pb2_grpc.HealthStub(stubs.channel)
        request = health_pb2.HealthCheckRequest()
        first, second = stub.Watch(request), stub.Watch(request)
        assert next(first).status == next(second).status == SERVING
        with pytest.raises(grpc.RpcError) as caught:
            next(stub.Watch(request))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()
        for _ in range(100):
            with contextlib.suppress(grpc.RpcError):
                assert next(stub.Watch(request)).status == SERVING
                break
            time.sleep(0.05)
        else:
            pytest.fail("no room was made")
