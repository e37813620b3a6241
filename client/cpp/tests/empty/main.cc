#include <runwire/grpc.h>
#include <runwire/runwire.h>

int main() {
  const runwire::Client client("grpc://localhost:5001");
  return client.uri() == "grpc://localhost:5001" && runwire::channel(client) ? 0 : 1;
}
