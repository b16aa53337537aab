#!/bin/sh
# The program that npm has installed for this system.
exec node_modules/@oven/bun-*/bin/bun main.js
