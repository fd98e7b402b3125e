// Asks lz4-java's decoders, the native one and the safe one in Java. A line of input is the uncompressed length,
// 0 if it is not known, and a block in Base64; a line of output has a 1 for each that reads it. See make.py.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import net.jpountz.lz4.LZ4Exception;
import net.jpountz.lz4.LZ4Factory;
import net.jpountz.lz4.LZ4SafeDecompressor;

public class Ask {
  public static void main(String[] args) throws Exception {
    LZ4SafeDecompressor[] judges = {LZ4Factory.nativeInstance().safeDecompressor(), LZ4Factory.safeInstance().safeDecompressor()};
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = in.readLine()) != null; ) {
      String[] parts = line.split(" ", 2);
      int size = Integer.parseInt(parts[0]);
      byte[] block = Base64.getDecoder().decode(parts[1]);
      StringBuilder out = new StringBuilder();
      for (LZ4SafeDecompressor judge : judges) {
        out.append(reads(judge, block, size) ? "1 " : "0 ");
      }
      System.out.println(out.toString().trim());
    }
  }

  static boolean reads(LZ4SafeDecompressor judge, byte[] block, int size) {
    try {
      byte[] dst = new byte[size == 0 ? 1 << 16 : size];
      int n = judge.decompress(block, 0, block.length, dst, 0, dst.length);
      return size == 0 || n == size;
    } catch (LZ4Exception | IndexOutOfBoundsException e) {
      return false;
    }
  }
}
