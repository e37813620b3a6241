#include "artifact_source.h"

#include <cerrno>
#include <istream>
#include <system_error>
#include <utility>

#include "sha256.h"
#include "status.h"
#include "text.h"

namespace runwire {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlockBytes = 1 << 20;

std::error_code last_problem() {
  return {errno == 0 ? EIO : errno, std::generic_category()};
}

}  // namespace

BytesSource::BytesSource(std::string_view data) : data_(data) {
  Sha256 hash;
  hash.update(data);
  blob_.set_digest(hash.digest());
  blob_.set_size_bytes(static_cast<std::int64_t>(data.size()));
}

std::string BytesSource::read(std::int64_t offset, std::size_t size) {
  return std::string(data_.substr(static_cast<std::size_t>(offset), size));
}

StreamSource::StreamSource(std::istream& stream) : stream_(stream), start_(stream.tellg()) {
  if (start_ < 0) throw invalid("stream", "it cannot seek");
  Sha256 hash;
  std::int64_t total = 0;
  std::string block(kBlockBytes, '\0');
  while (stream_.read(block.data(), static_cast<std::streamsize>(block.size())),
         stream_.gcount() > 0) {
    hash.update(std::string_view(block).substr(0, static_cast<std::size_t>(stream_.gcount())));
    total += stream_.gcount();
  }
  if (stream_.bad()) throw invalid("stream", "it cannot be read");
  blob_.set_digest(hash.digest());
  blob_.set_size_bytes(total);
}

std::string StreamSource::read(std::int64_t offset, std::size_t size) {
  std::string data(size, '\0');
  stream_.clear();
  stream_.seekg(start_ + offset);
  if (!stream_.read(data.data(), static_cast<std::streamsize>(size))) {
    throw invalid("stream", "it became shorter while it was sent");
  }
  return data;
}

FileSource::FileSource(const fs::path& path) : path_(path) {
  if (fs::is_directory(path)) {
    throw fs::filesystem_error("cannot upload", path,
                               std::make_error_code(std::errc::is_a_directory));
  }
  file_.open(path, std::ios::binary);
  if (!file_) throw fs::filesystem_error("cannot open", path, last_problem());
  stream_.emplace(file_);
  blob_ = stream_->blob();
  modify_time = fs::last_write_time(path);
}

std::string FileSource::read(std::int64_t offset, std::size_t size) {
  return stream_->read(offset, size);
}

// Not named after the file: that name may be as long as one can be.
AppearingFile::AppearingFile(fs::path path) : path_(std::move(path)) {
  const fs::path folder = path_.parent_path();
  if (!folder.empty()) fs::create_directories(folder);
  part_ = folder / (".runwire-" + random_hex(8) + ".part");
  file_.open(part_, std::ios::binary | std::ios::trunc);
  if (!file_) throw fs::filesystem_error("cannot create", part_, last_problem());
}

AppearingFile::~AppearingFile() {
  if (committed_) return;
  file_.close();
  std::error_code ignored;
  fs::remove(part_, ignored);
}

void AppearingFile::commit() {
  file_.close();
  if (!file_) throw fs::filesystem_error("cannot write", part_, last_problem());
  fs::rename(part_, path_);
  committed_ = true;
}

}  // namespace runwire
