// First, so that nothing else can bring them: users do not get gRPC's headers from ours.
#include "runwire/runwire.h"

#if defined(GRPC_GRPC_H) || defined(GRPCPP_CHANNEL_H) || defined(GRPCPP_GRPCPP_H)
#error "the public headers bring those of gRPC"
#endif

#include <gtest/gtest.h>

TEST(PublicHeaders, TypesMoveAsAUserExpects) {
  static_assert(std::is_copy_constructible_v<runwire::Client>);
  static_assert(std::is_nothrow_move_constructible_v<runwire::Writer>);
  static_assert(!std::is_copy_constructible_v<runwire::Writer>);
  static_assert(std::is_nothrow_move_assignable_v<runwire::ModelWatcher>);
  static_assert(std::is_nothrow_copy_constructible_v<runwire::Error>);
}
