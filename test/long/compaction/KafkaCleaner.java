import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.AbortedTxn;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.log.Cleaner;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;
import org.apache.kafka.storage.internals.log.LogSegment;
import org.apache.kafka.storage.internals.log.LogToClean;
import org.apache.kafka.storage.internals.log.ProducerStateManagerConfig;
import org.apache.kafka.storage.internals.log.SkimpyOffsetMap;
import org.apache.kafka.storage.internals.log.UnifiedLog;
import org.apache.kafka.storage.internals.utils.Throttler;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

/**
 * What Apache Kafka's own cleaner makes of a partition. Lines in:
 *
 * <pre>
 *   open                             a new partition
 *   append HEX                       a batch, as a follower gets it
 *   roll                             ends a segment
 *   forget                           the state of all producers without an open transaction expires
 *   pass NOW DELETE_RETENTION        cleans all that is before the active segment; a line out:
 *                                    "hex of all batches|producer:first:last of each aborted transaction, by commas"
 * </pre>
 */
public class KafkaCleaner {
    private static final HexFormat HEX = HexFormat.of();
    private static final int MAP_BYTES = 1 << 20;
    private static final int BUFFER_BYTES = 1 << 20;

    private static class StoppedTime implements Time {
        long nowMs = 1_700_000_000_000L;

        public long milliseconds() { return nowMs; }
        public long nanoseconds() { return nowMs * 1_000_000; }
        public void sleep(long ms) { }
        public void waitObject(Object object, Supplier<Boolean> condition, long deadlineMs) { }
    }

    /** What would be deleted later is deleted with the directory. */
    private static class NoScheduler implements Scheduler {
        private final ScheduledExecutorService never = Executors.newScheduledThreadPool(1, task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });

        public void startup() { }
        public void shutdown() { }
        public ScheduledFuture<?> schedule(String name, Runnable task, long delayMs, long periodMs) {
            return never.schedule(() -> { }, 1, TimeUnit.DAYS);
        }
        public void resizeThreadPool(int size) { }
    }

    private final Path root;
    private final StoppedTime time = new StoppedTime();
    private final Cleaner cleaner;
    private final Scheduler scheduler = new NoScheduler();
    private UnifiedLog log;
    private long firstDirtyOffset;
    private int opened;

    private KafkaCleaner(Path root) throws Exception {
        this.root = root;
        Throttler throttler = new Throttler(Double.MAX_VALUE, Long.MAX_VALUE, "throttler", "entries", time);
        cleaner = new Cleaner(0, new SkimpyOffsetMap(MAP_BYTES), BUFFER_BYTES, BUFFER_BYTES, 0.9, throttler, time, partition -> { });
    }

    public static void main(String[] args) throws Exception {
        Path root = Files.createTempDirectory("kafka-cleaner-");
        try {
            KafkaCleaner cleaner = new KafkaCleaner(root);
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) cleaner.run(line.split(" "));
        } finally {
            try (Stream<Path> files = Files.walk(root)) {
                files.sorted((a, b) -> b.compareTo(a)).map(Path::toFile).forEach(File::delete);
            }
        }
    }

    private void run(String[] words) throws Exception {
        switch (words[0]) {
            case "open" -> open();
            case "append" -> log.appendAsFollower(MemoryRecords.readableRecords(ByteBuffer.wrap(HEX.parseHex(words[1]))), 0);
            case "roll" -> log.roll(Optional.empty());
            case "forget" -> log.producerStateManager().removeExpiredProducers(2 * time.nowMs);
            case "pass" -> pass(Long.parseLong(words[1]), words[2]);
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private void open() throws Exception {
        if (log != null) log.close();
        Path directory = Files.createDirectories(root.resolve("topic-" + opened++));
        firstDirtyOffset = 0;
        log = UnifiedLog.create(directory.toFile(), config("0"), 0L, 0L, scheduler, new BrokerTopicStats(), time,
            Integer.MAX_VALUE, new ProducerStateManagerConfig(Integer.MAX_VALUE, false), Integer.MAX_VALUE,
            new LogDirFailureChannel(1), true, Optional.of(Uuid.randomUuid()));
    }

    private static LogConfig config(String deleteRetentionMs) {
        return new LogConfig(Map.of("cleanup.policy", "compact", "delete.retention.ms", deleteRetentionMs,
            "segment.bytes", "104857600", "segment.index.bytes", "65536"));
    }

    private void pass(long nowMs, String deleteRetentionMs) throws Exception {
        time.nowMs = nowMs;
        log.updateConfig(config(deleteRetentionMs));
        log.updateHighWatermark(log.logEndOffset());
        long uncleanable = Math.min(log.activeSegment().baseOffset(), log.lastStableOffset());
        if (uncleanable > firstDirtyOffset)
            firstDirtyOffset = cleaner.doClean(new LogToClean(log, firstDirtyOffset, uncleanable, false), nowMs).getKey();
        StringBuilder line = new StringBuilder();
        for (LogSegment segment : log.logSegments()) {
            ByteBuffer bytes = ByteBuffer.allocate(segment.log().sizeInBytes());
            segment.log().readInto(bytes, 0);
            line.append(HEX.formatHex(bytes.array(), 0, bytes.limit()));
        }
        line.append('|');
        for (LogSegment segment : log.logSegments())
            for (AbortedTxn txn : segment.txnIndex().allAbortedTxns())
                line.append(txn.producerId()).append(':').append(txn.firstOffset()).append(':').append(txn.lastOffset()).append(',');
        System.out.println(line);
    }
}
