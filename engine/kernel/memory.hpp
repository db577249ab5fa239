// Memory that a thread keeps from problem to problem. Not std::vector: its code, compiled for several instruction
// levels, would be one function to the linker.
#pragma once

#include <cstdlib>
#include <new>

#include "simd.hpp"

namespace setwise::SETWISE_NAMESPACE {

// An array that only grows, aligned to 64 bytes; its content is lost when it grows.
template <typename T>
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    T* get(std::size_t count) {
        if (count > size_ || data_ == nullptr) {  // an empty array too: memset and the like refuse null
            std::free(data_);
            size_ = 0;
            data_ = static_cast<T*>(std::aligned_alloc(64, (count * sizeof(T) + 127) / 64 * 64));
            if (data_ == nullptr) throw std::bad_alloc();
            size_ = count;
        }
        return data_;
    }
    T* data() const { return data_; }

  private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace setwise::SETWISE_NAMESPACE
