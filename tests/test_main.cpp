// The main() of every Boost.Test program of ringcast.
#define BOOST_TEST_MODULE ringcast
#include <boost/test/unit_test.hpp>
