"""What a call on a Spark server costs beside the server: one connection for all, one request each, nothing sent twice."""
import socket
import threading

from lacus import script
from spark_server import free_port


class Relay:
    """Passes bytes on to the server and counts connections and the times that something came from the client."""

    def __init__(self, port):
        self.to, self.connections, self.sent = port, 0, 0
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, a, b, counts):
        try:
            while data := a.recv(65536):
                self.sent += counts
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            s.close()


def test_a_call_is_one_request_on_a_connection_that_stays(tmp_path, spark_server):
    relay, calls = Relay(spark_server.port), 40
    out = script(tmp_path, f"""
for i = 1, {calls} do assert(#spark:range(i):select((F.col("id") + i):alias("x")).columns == 1) end
print("done")
""", SPARK_REMOTE=f"sc://127.0.0.1:{relay.port}")
    relay.listener.close()
    assert out == "done\n"
    assert relay.connections == 1
    assert calls <= relay.sent <= 2 * calls + 20, relay.sent  # a request, and now and then an answer to a ping or a window
