/*
 * Assertions that are always on. What a peer can cause is an error; what only our own mistake can cause is an
 * assertion.
 */
#ifndef HILUM_BASE_ASSERT_H
#define HILUM_BASE_ASSERT_H

_Noreturn void hilum_assert_failed(const char *file, int line, const char *text);

#define hilum_assert(x) ((x) ? (void)0 : hilum_assert_failed(__FILE__, __LINE__, #x))

#endif
