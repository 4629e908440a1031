"""A gRPC proxy before a Spark Connect server that knows where messages begin: it ends calls after a message of a chosen kind, or counts and notes what passes."""
from concurrent import futures

SERVICE = "/spark.connect.SparkConnectService/"
STREAMS = ("ExecutePlan", "ReattachExecute")


class MessageProxy:
    """`after(kind, n)` -> None, or the gRPC status with which the call ends after that message; it is asked for every answer of a stream."""

    def __init__(self, url, after=lambda kind, n: None, before=lambda method, metadata, context: None):
        import grpc
        from pyspark.sql.connect.proto import base_pb2
        self.grpc, self.proto, self.after, self.before = grpc, base_pb2, after, before
        self.seen, self.methods, self.metadata = [], [], []
        limit = [("grpc.max_receive_message_length", 1 << 30), ("grpc.max_send_message_length", 1 << 30)]
        self.channel = grpc.insecure_channel(url.removeprefix("sc://"), options=limit)
        outer = self

        class Handler(grpc.GenericRpcHandler):
            def service(self, details):
                name = details.method.removeprefix(SERVICE)
                outer.methods.append(name)
                outer.metadata.append(dict(details.invocation_metadata))
                if name in STREAMS:
                    return grpc.unary_stream_rpc_method_handler(lambda r, c: outer.stream(name, details, r, c))
                if name == "AddArtifacts":
                    return grpc.stream_unary_rpc_method_handler(lambda r, c: outer.pass_on(outer.channel.stream_unary, name, details, r, c))
                return grpc.unary_unary_rpc_method_handler(lambda r, c: outer.pass_on(outer.channel.unary_unary, name, details, r, c))

        self.server = grpc.server(futures.ThreadPoolExecutor(16), handlers=[Handler()], options=limit)
        self.url = f"sc://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def fail(self, context, error):
        context.set_trailing_metadata([(k, v) for k, v in (error.trailing_metadata() or ()) if k == "grpc-status-details-bin"])
        context.abort(error.code(), error.details())

    def pass_on(self, kind, name, details, request, context):
        self.before(name, dict(details.invocation_metadata), context)
        try:
            return kind(SERVICE + name)(request, timeout=120)
        except self.grpc.RpcError as e:
            self.fail(context, e)

    def stream(self, name, details, request, context):
        self.before(name, dict(details.invocation_metadata), context)
        call = self.channel.unary_stream(SERVICE + name)(request, timeout=300)
        context.add_callback(call.cancel)
        try:
            for data in call:
                kind = self.proto.ExecutePlanResponse.FromString(data).WhichOneof("response_type") or "metrics or schema"
                self.seen.append(kind)
                yield data
                status = self.after(kind, len(self.seen))
                if status == "END":
                    return
                if status is not None:
                    context.abort(status, "cut by the test")
        except self.grpc.RpcError as e:
            self.fail(context, e)

    def close(self):
        self.server.stop(None)
        self.channel.close()
