// Whether this is compiled with AddressSanitizer, and its calls where it is.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define NNX_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NNX_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef NNX_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif
