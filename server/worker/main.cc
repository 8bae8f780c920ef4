#include <cstdio>

#include "server/worker/commands.h"

int main(int argc, char** argv) { return haq::server::worker::Main(argc, argv, stdout, stderr); }
