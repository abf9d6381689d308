/* Text copied and checked in one pass: vectors on x86-64, words of eight bytes elsewhere.
 *
 * SSE2 is the baseline of x86-64. Only the longest JSON strings use AVX2, where the processor has
 * it. GAISTREAM_PORTABLE chooses the words everywhere, for tests/core/test_vector.py. Nothing is
 * read or written after `size` bytes; after the place where a copy stops the output is undefined.
 */
#ifndef GAISTREAM_VECTOR_H
#define GAISTREAM_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(GAISTREAM_PORTABLE) && (defined(__SSE2__) || defined(_M_X64))
#define GAISTREAM_SSE2 1
#include <emmintrin.h>
#if defined(_MSC_VER)
#include <intrin.h>
#elif defined(__x86_64__)
#define GAISTREAM_AVX2 1
#include <immintrin.h>
#endif
#endif

#if defined(_MSC_VER)
#define GAISTREAM_INLINE static __forceinline
#else
#define GAISTREAM_INLINE static inline __attribute__((always_inline))
#endif

#define EACH_BYTE(value) (0x0101010101010101ULL * (value))

GAISTREAM_INLINE int needs_escape(unsigned char code)
{
    return code < 0x20 || code == '"' || code == '\\' || code >= 0x80;
}

#ifdef GAISTREAM_SSE2

GAISTREAM_INLINE ptrdiff_t first_of(unsigned mask)
{
#if defined(_MSC_VER)
    unsigned long index;
    _BitScanForward(&index, mask);
    return (ptrdiff_t)index;
#else
    return __builtin_ctz(mask);
#endif
}

/* A bit for each byte that needs an escape; as a signed number, one above 0x7F is below 0x20. */
GAISTREAM_INLINE unsigned escapes_of(__m128i bytes)
{
    __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i slashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i controls = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, slashes), controls));
}

#endif

#ifdef GAISTREAM_AVX2

/* Copy blocks of 256 bytes up to the first that may hold an escape, and return their size. */
__attribute__((target("avx2"))) static ptrdiff_t copy_plain_blocks(
    char *out, const unsigned char *text, ptrdiff_t size)
{
    const __m256i two = _mm256_set1_epi8(2), slash = _mm256_set1_epi8('\\');
    const __m256i top = _mm256_set1_epi8(0x20), none = _mm256_setzero_si256();
    ptrdiff_t at;
    int step;
    for (at = 0; size - at >= 256; at += 256) {
        __m256i low = _mm256_set1_epi8(-1), slashes = low;
        for (step = 0; step < 256; step += 32) {
            __m256i bytes = _mm256_loadu_si256((const __m256i *)(text + at + step));
            _mm256_storeu_si256((__m256i *)(out + at + step), bytes);
            /* with the second bit turned over, the quote is next to the controls: 0x20 */
            low = _mm256_min_epu8(low, _mm256_xor_si256(bytes, two));
            slashes = _mm256_min_epu8(slashes, _mm256_xor_si256(bytes, slash));
        }
        low = _mm256_cmpeq_epi8(_mm256_min_epu8(low, top), low);
        if (_mm256_movemask_epi8(_mm256_or_si256(low, _mm256_cmpeq_epi8(slashes, none))))
            break;
    }
    return at;
}

#endif

/* Copy ASCII up to the first character that a JSON string must escape, and return its index.
 *
 * Without `out` nothing is copied. */
GAISTREAM_INLINE ptrdiff_t copy_plain(char *out, const unsigned char *text, ptrdiff_t size)
{
    ptrdiff_t at = 0;
#ifdef GAISTREAM_SSE2
    __m128i bytes;
    unsigned mask;
#ifdef GAISTREAM_AVX2
    if (out && size >= 4096 && __builtin_cpu_supports("avx2"))
        at = copy_plain_blocks(out, text, size);
#endif
    for (; size - at >= 16; at += 16) {
        bytes = _mm_loadu_si128((const __m128i *)(text + at));
        mask = escapes_of(bytes);
        if (out)
            _mm_storeu_si128((__m128i *)(out + at), bytes);
        if (mask)
            return at + first_of(mask);
    }
    /* the rest at once, and with it some bytes once more */
    if (at == size)
        return size;
    if (size >= 16) {
        at = size - 16;
        bytes = _mm_loadu_si128((const __m128i *)(text + at));
        if (out)
            _mm_storeu_si128((__m128i *)(out + at), bytes);
        mask = escapes_of(bytes);
        return mask ? at + first_of(mask) : size;
    }
    if (size >= 8) {
        __m128i end = _mm_loadl_epi64((const __m128i *)(text + size - 8));
        bytes = _mm_loadl_epi64((const __m128i *)text);
        if (out) {
            _mm_storel_epi64((__m128i *)out, bytes);
            _mm_storel_epi64((__m128i *)(out + size - 8), end);
        }
        mask = escapes_of(_mm_unpacklo_epi64(bytes, end));
        if (!mask)
            return size;
        return mask & 0xFF ? first_of(mask) : size - 16 + first_of(mask);
    }
#else
    uint64_t word;
    for (; size - at >= 8; at += 8) {
        memcpy(&word, text + at, 8);
        /* "has a byte below n" of each word; exact, unless a byte is above 0x7F: that counts too */
        if ((word | (word - EACH_BYTE(0x20)) | ((word ^ EACH_BYTE('"')) - EACH_BYTE(1))
             | ((word ^ EACH_BYTE('\\')) - EACH_BYTE(1))) & EACH_BYTE(0x80))
            break;
        if (out)
            memcpy(out + at, &word, 8);
    }
#endif
    for (; at < size && !needs_escape(text[at]); at++)
        if (out)
            out[at] = (char)text[at];
    return at;
}

/* Return whether all bytes are below 0x80. */
GAISTREAM_INLINE int all_ascii(const char *text, ptrdiff_t size)
{
    ptrdiff_t at = 0;
    uint64_t word, high = 0;
#ifdef GAISTREAM_SSE2
    for (; size - at >= 64; at += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)(text + at));
        __m128i b = _mm_loadu_si128((const __m128i *)(text + at + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(text + at + 32));
        __m128i d = _mm_loadu_si128((const __m128i *)(text + at + 48));
        if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))))
            return 0;
    }
#endif
    for (; size - at >= 8 && !(high & EACH_BYTE(0x80)); at += 8) {
        memcpy(&word, text + at, 8);
        high |= word;
    }
    for (; at < size; at++)
        high |= (unsigned char)text[at];
    return !(high & EACH_BYTE(0x80));
}

/* Copy bytes, and return whether there may be a CR or an LF: a byte from 0x0A to 0x0D. */
static int copy_line(char *out, const char *text, ptrdiff_t size)
{
#ifdef GAISTREAM_SSE2
    const __m128i feed = _mm_set1_epi8(0x0A);
    __m128i least = _mm_set1_epi8(-1);
    ptrdiff_t at;
    int found;
    for (at = 0; size - at >= 64; at += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)(text + at));
        __m128i b = _mm_loadu_si128((const __m128i *)(text + at + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(text + at + 32));
        __m128i d = _mm_loadu_si128((const __m128i *)(text + at + 48));
        _mm_storeu_si128((__m128i *)(out + at), a);
        _mm_storeu_si128((__m128i *)(out + at + 16), b);
        _mm_storeu_si128((__m128i *)(out + at + 32), c);
        _mm_storeu_si128((__m128i *)(out + at + 48), d);
        a = _mm_min_epu8(_mm_sub_epi8(a, feed), _mm_sub_epi8(b, feed));
        c = _mm_min_epu8(_mm_sub_epi8(c, feed), _mm_sub_epi8(d, feed));
        least = _mm_min_epu8(least, _mm_min_epu8(a, c));
    }
    found = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(least, _mm_set1_epi8(3)), least));
    for (; at < size; at++) {
        out[at] = text[at];
        found |= (unsigned char)(text[at] - 0x0A) <= 3;
    }
    return found != 0;
#else
    memcpy(out, text, size);
    return memchr(text, 0x0A, size) != NULL || memchr(text, 0x0D, size) != NULL;
#endif
}

#endif
