#include <cstdio>

#include "client/cli/app.h"

int main(int argc, char** argv) { return haq::client::Main(argc, argv, stdout, stderr); }
