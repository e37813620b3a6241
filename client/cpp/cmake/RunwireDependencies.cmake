# What the library is linked with, for its own build and for who uses it installed. Debian's
# protobuf 3.21 has no CMake package, only CMake's own module; newer ones (vcpkg, conan, built
# from source) have one, and their gRPC refers to it.
include(CMakeFindDependencyMacro)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_dependency(Threads)
find_dependency(OpenSSL)
find_package(Protobuf CONFIG QUIET)
if(NOT Protobuf_FOUND)
  find_dependency(Protobuf)
endif()
find_package(gRPC CONFIG QUIET)
if(NOT TARGET gRPC::grpc++)
  find_dependency(PkgConfig)
  pkg_check_modules(RUNWIRE_GRPCPP REQUIRED IMPORTED_TARGET GLOBAL grpc++)
  if(NOT TARGET gRPC::grpc++)
    add_library(gRPC::grpc++ ALIAS PkgConfig::RUNWIRE_GRPCPP)
  endif()
endif()
