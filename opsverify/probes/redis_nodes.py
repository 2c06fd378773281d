"""Nodes of a cache: the one server, the master that sentinels name now, or every primary of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import redis as client
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedSSLConnection

from opsverify.errors import Peer
from opsverify.probes.environment import plain_process

if TYPE_CHECKING:
    import socket

    from opsverify.config.model import RedisConfig

Node: TypeAlias = client.Redis
_CLUSTER_IS_WHOLE = "ok"


class _PlainTls(client.SSLConnection):
    """A TLS connection that trusts this machine's authorities, whatever `SSL_CERT_FILE` holds."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:  # noqa: ANN401 - as its base
        with plain_process():
            return super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]


class _PlainTlsOfMaster(SentinelManagedSSLConnection):
    """The same to a master that sentinels name."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:  # noqa: ANN401 - as its base
        with plain_process():
            return super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]


class RedisNodes:
    """The servers that hold the cache's keys, as connections; they are looked up when first asked for."""

    def __init__(self, config: RedisConfig, password: str | None, sentinel_password: str | None = None) -> None:
        self._config = config
        self._options: dict[str, Any] = {
            # No client_name: CLIENT SETNAME would need a right that nothing else here needs.
            "username": config.username, "password": password, "ssl": config.tls, "decode_responses": True,
            "socket_timeout": config.timeout_s, "socket_connect_timeout": config.timeout_s,
        }  # fmt: skip
        self._sentinel_password = sentinel_password
        self._found: tuple[Node, ...] = ()
        self._cluster: RedisCluster | None = None

    @property
    def where(self) -> str:
        """What the cache is called in messages."""
        config = self._config
        if config.sentinels:
            return f"Redis {config.master} ({', '.join(config.sentinels)})"
        return f"Redis {'cluster ' if config.cluster else ''}{config.host}:{config.port}"

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Where the way to the cache begins: its server, the node that is asked first, or the sentinels."""
        config = self._config
        named = config.sentinels or (f"{config.host}:{config.port}",)
        return tuple(Peer(host, int(port)) for host, _, port in (one.rpartition(":") for one in named))

    def all(self) -> tuple[Node, ...]:
        """Every server whose keys are part of the cache.

        Raises redis.RedisError where none can be named, and ConnectionError for a cluster that does not serve all
        its slots.
        """
        if not self._found:
            self._found = self._of_cluster() if self._config.cluster else (self._single(),)
        return self._found

    def name(self, node: Node) -> str:
        """What one of several servers is called; empty where there is only one."""
        if not self._config.cluster:
            return ""
        options = node.connection_pool.connection_kwargs
        return f"{options['host']}:{options['port']}"

    def close(self) -> None:
        """Close all connections; they may be asked for again."""
        for node in self._found:
            node.close()
        if self._cluster is not None:
            self._cluster.close()
        self._found, self._cluster = (), None

    def _single(self) -> Node:
        retry = Retry(NoBackoff(), 0)
        if self._config.sentinels:
            return self._named_by_sentinels(retry)
        node = client.Redis(
            host=self._config.host or "", port=self._config.port, db=self._config.db, retry=retry, **self._options
        )
        if self._config.tls:
            node.connection_pool.connection_class = _PlainTls
        return node

    def _named_by_sentinels(self, retry: Retry) -> Node:
        login = self._config.sentinel_login
        options = self._options | {"username": login.user if login else None, "password": self._sentinel_password}
        addresses = [(host, int(port)) for host, _, port in (one.rpartition(":") for one in self._config.sentinels)]
        sentinel = Sentinel(addresses, sentinel_kwargs=options | {"retry": retry})  # type: ignore[no-untyped-call]
        if self._config.tls:
            for each in sentinel.sentinels:
                each.connection_pool.connection_class = _PlainTls
        node: Node = sentinel.master_for(  # type: ignore[no-untyped-call]
            self._config.master or "", db=self._config.db, retry=retry, **self._options
        )
        if self._config.tls:
            node.connection_pool.connection_class = _PlainTlsOfMaster
        return node

    def _of_cluster(self) -> tuple[Node, ...]:
        start = ClusterNode(self._config.host or "", self._config.port)  # type: ignore[no-untyped-call]
        try:
            with plain_process():
                self._cluster = RedisCluster(startup_nodes=[start], require_full_coverage=True, **self._options)
        except client.exceptions.RedisClusterException as error:  # which is no RedisError
            raise client.ConnectionError(str(error)) from error
        primaries = self._cluster.get_primaries()  # type: ignore[no-untyped-call]
        nodes = tuple(self._cluster.get_redis_connection(one) for one in primaries)
        for node in nodes:
            if self._config.tls:
                node.connection_pool.connection_class = _PlainTls
            state = node.execute_command("CLUSTER INFO")["cluster_state"]  # type: ignore[no-untyped-call]
            if state != _CLUSTER_IS_WHOLE:
                raise client.ConnectionError(f"{self.name(node)}: cluster_state {state}")
        return nodes
