"""The standard services: health with Watch, and reflection under both of its names."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from setwise_proto.v1 import search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings
from setwise_server._servicer import SERVICES
from setwise_server.serve import Server

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
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
