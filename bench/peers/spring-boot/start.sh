#!/bin/sh
# WORKERS is the number of processors that the JVM sizes itself for; Tomcat keeps its default threads.
exec java ${WORKERS:+"-XX:ActiveProcessorCount=$WORKERS"} -jar target/spring-boot-peer.jar
