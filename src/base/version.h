/* The version of the program. */
#ifndef HILUM_BASE_VERSION_H
#define HILUM_BASE_VERSION_H

#define HILUM_VERSION "0.1.0"

#endif
